"""The request bodies of the API, as its document describes them: schemas, enums, and the rules in its prose.

`auto`, the default of `splitter`, is not one of its values, as in the document; see `leniency`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar
from uuid import UUID

from pydantic import UUID4, BaseModel, ConfigDict, Field, ValidationError, model_validator

Mode = Literal["stem_separator", "multistem", "demuser", "voice_clean", "change_voice"]
Splitter = Literal["andromeda", "perseus", "orion", "phoenix", "lyra", "lynx"]
EncoderFormat = Literal["mp3", "wav", "flac", "aac", "ogg"]
ExtractionLevel = Literal["deep_extraction", "clear_cut"]
MultistemStem = Literal["vocals", "drum", "piano", "bass", "electric_guitar", "acoustic_guitar"]
Stem = Literal[MultistemStem, "synthesizer", "strings", "wind"]
PHOENIX_ONLY = ("synthesizer", "strings", "wind")


class Body(BaseModel):
    """Types are strict: "1" is not an integer, "true" not a boolean. Unknown names are ignored, as documented."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class Presets(Body):
    dereverb_enabled: bool = False
    encoder_format: EncoderFormat | None = None


class SplitterPresets(Presets):
    splitter: Splitter = Field(default="perseus")  # the meaning of `auto`, by the document's example


class StemSeparatorPresets(SplitterPresets):
    mode: ClassVar[Mode] = "stem_separator"
    stem: Stem
    multivocal: Literal["lead_back"] | None = None
    extraction_level: ExtractionLevel = "deep_extraction"

    @model_validator(mode="after")
    def _follows_the_text(self) -> Self:
        if self.multivocal and self.stem != "vocals":
            raise ValueError("'multivocal' is available only for 'vocals' stem")
        if self.stem not in PHOENIX_ONLY or self.splitter == "phoenix":
            return self
        if "splitter" in self.model_fields_set:
            raise ValueError(f"'{self.stem}' stem is available only for 'phoenix' splitter")
        return self.model_copy(update={"splitter": "phoenix"})


class MultistemPresets(SplitterPresets):
    mode: ClassVar[Mode] = "multistem"
    stem_list: Annotated[list[MultistemStem], Field(min_length=1, max_length=6)]
    extraction_level: ExtractionLevel = "deep_extraction"

    @model_validator(mode="after")
    def _has_each_stem_once(self) -> Self:
        if len(set(self.stem_list)) < len(self.stem_list):
            raise ValueError("'stem_list' is a subset of the supported stems: each once")
        return self


class DemuserPresets(SplitterPresets):
    mode: ClassVar[Mode] = "demuser"
    stem: Literal["music"]


class VoiceCleanPresets(SplitterPresets):
    mode: ClassVar[Mode] = "voice_clean"
    stem: Literal["voice"]
    noise_cancelling_level: Annotated[int, Field(ge=0, le=2)] = 0


class VoiceChangePresets(Presets):
    mode: ClassVar[Mode] = "change_voice"
    voice_pack_id: str
    accent: Annotated[float, Field(ge=0, le=1)] = 1.0
    tonality_reference: Literal["source_file", "voice_pack"] = "source_file"


AnyPresets = StemSeparatorPresets | MultistemPresets | DemuserPresets | VoiceCleanPresets | VoiceChangePresets
PresetsOf = TypeVar(
    "PresetsOf", StemSeparatorPresets, MultistemPresets, DemuserPresets, VoiceCleanPresets, VoiceChangePresets
)
BodyOf = TypeVar("BodyOf", bound=Body)


class SplitRequest(Body, Generic[PresetsOf]):
    source_id: UUID4
    presets: PresetsOf
    idempotency_key: UUID4 | None = None


class BatchRequest(Body, Generic[PresetsOf]):
    items: Annotated[list[SplitRequest[PresetsOf]], Field(min_length=1, max_length=100)]


class CheckRequest(Body):
    task_ids: Annotated[list[UUID4], Field(max_length=200)]


class CancelRequest(Body):
    task_ids: list[UUID4]


class DeleteRequest(Body):
    source_id: UUID4


class InvalidError(Exception):
    """The body is not valid by the document; `detail`: a 422's list of `{loc, msg, type}`."""

    def __init__(self, detail: list[dict[str, Any]]) -> None:
        super().__init__(detail)
        self.detail = detail


def read(model: type[BodyOf], body: bytes, where: list[str]) -> BodyOf:
    """Parse the body. `where`: the prefix of locations in errors. Raises InvalidError with every error."""
    try:
        return model.model_validate_json(body or b"null")
    except ValidationError as error:
        raise InvalidError(
            [
                {"loc": [*where, *found["loc"]], "msg": found["msg"], "type": found["type"]}
                for found in error.errors(include_url=False, include_context=False, include_input=False)
            ]
        ) from None


def text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)
