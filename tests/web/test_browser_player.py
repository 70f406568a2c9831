"""The player by what comes out of it: rendered offline, and heard at the output of the page."""

from __future__ import annotations

import json
import math
import struct
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.browser import BrowserThread, Visit
from tests.support.page_client import address_of, page_alone, with_page
from tests.support.running import Home
from tests.support.sounds import flac_of

RATE = 8000
SECONDS = 12
HALF_A_BIT = 0.5 / 32768  # the browser scales what is above zero by 32767, the test by 32768

# Builds the mixer on the job's own tracks, as the player does, and renders what would be heard.
RENDER = """async ({urls, extension, original, settings, hearOriginal, loop, seconds, rate}) => {
  const { mixerOf } = await import("./static/player/engines.js");
  const { openSource } = await import("./static/player/sources.js");
  const context = new OfflineAudioContext(1, seconds * rate, rate);
  const open = async (url) => (await openSource(context, { url, extension }, () => {}, () => {})).source;
  const reports = { changed() {}, trouble: (error) => { throw error; } };
  const mixer = mixerOf(context, await Promise.all(urls.map(open)), original && { source: await open(original), lag: 0 }, [], reports);
  mixer.apply(settings.map((setting) => ({ volume: 1, muted: false, solo: false, ...setting })), hearOriginal);
  mixer.setLoop(loop);
  await mixer.start(loop ? loop.from : 0);
  return JSON.stringify([...(await context.startRendering()).getChannelData(0)]);
}"""


def sweep(pitch: float, loudness: int = 6000) -> list[int]:
    return [round(loudness * math.sin(2 * math.pi * (pitch + n / RATE) * n / RATE)) for n in range(RATE * SECONDS)]


def tone(path: Path, pitch: float, loudness: int = 6000) -> list[float]:
    """Writes a WAV that differs in every stretch, and returns its samples."""
    samples = sweep(pitch, loudness)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return [sample / 32768 for sample in samples]


def farthest(one: list[float], other: list[float]) -> float:
    """The largest difference of two recordings of one length."""
    assert len(one) == len(other)
    return max(abs(left - right) for left, right in zip(one, other, strict=True))


@pytest.fixture
def stems(done_home: Home) -> list[list[float]]:
    """The samples of the two tracks of job 1, which now differ; the sandbox's own are copies of the source."""
    tracks = done_home.jobs()[0]["tracks"]
    return [tone(Path(track["path"]), 200 + 150 * place) for place, track in enumerate(tracks)]


def rendered(visit: Visit, **wanted: Any) -> list[float]:
    facts = {
        "urls": ["api/jobs/1/tracks/1", "api/jobs/1/tracks/2"], "extension": "wav", "original": None, "settings": [{}, {}],
        "hearOriginal": False, "loop": None, "seconds": SECONDS, "rate": RATE,
    }  # fmt: skip
    found: list[float] = json.loads(visit.page.evaluate(RENDER, {**facts, **wanted}))
    return found


def test_all_stems_together_are_their_sum(done_visit: Visit, stems: list[list[float]]) -> None:
    done_visit.open("log")
    sum_of_both = [one + other for one, other in zip(*stems, strict=True)]
    assert farthest(rendered(done_visit), sum_of_both) < 2 * HALF_A_BIT


def test_a_stem_alone_is_that_stem_to_the_sample(done_visit: Visit, stems: list[list[float]]) -> None:
    done_visit.open("log")
    solo = rendered(done_visit, settings=[{}, {"solo": True}])
    assert farthest(solo, stems[1]) < HALF_A_BIT
    muted = rendered(done_visit, settings=[{"muted": True}, {}])
    assert farthest(muted, stems[1]) < HALF_A_BIT
    half = rendered(done_visit, settings=[{"muted": True}, {"volume": 0.5}])
    assert farthest(half, [sample / 4 for sample in stems[1]]) < HALF_A_BIT  # a fader's square is the gain


def test_the_original_replaces_the_stems(done_visit: Visit, stems: list[list[float]]) -> None:
    done_visit.open("log")
    heard = rendered(
        done_visit, urls=["api/jobs/1/tracks/1"], settings=[{}], original="api/jobs/1/tracks/2", hearOriginal=True
    )
    assert farthest(heard, stems[1]) < HALF_A_BIT


def test_a_loop_joins_its_ends_without_a_gap(done_visit: Visit, stems: list[list[float]]) -> None:
    done_visit.open("log")
    heard = rendered(done_visit, settings=[{"solo": True}, {}], loop={"from": 3.5, "to": 6.25}, seconds=8)
    section = stems[0][int(3.5 * RATE) : int(6.25 * RATE)]
    faded = int(0.01 * RATE)  # a start in the middle of a sound fades in
    assert farthest(heard[faded : len(section) * 2], (section * 2)[faded:]) < HALF_A_BIT


@pytest.mark.usefixtures("stems")
def test_wav_is_fetched_by_range_in_pieces(done_visit: Visit) -> None:
    answers: list[Any] = []
    done_visit.page.on("response", lambda answer: "/tracks/" in answer.url and answers.append(answer))
    done_visit.open("log")
    rendered(done_visit)
    assert {answer.status for answer in answers} == {206}
    assert max(int(answer.headers["content-length"]) for answer in answers) <= 5 * RATE * 2
    assert len(answers) == 2 * (1 + math.ceil(SECONDS / 5))  # the head and three pieces of each


# Stems that are too large to be decoded: one is heard at a time. Switches from the second to the first while it plays.
SINGLE = """async (urls) => {
  const { openEngine } = await import("./static/player/engines.js");
  const told = { progress() {}, peaks() {}, changed() {}, trouble: (error) => { throw error; } };
  const stems = urls.map((url) => ({ name: url, url, extension: "flac", size: 2e8 }));
  const engine = await openEngine(stems, null, 12, told, new AbortController().signal);
  const only = (heard) => engine.apply(urls.map((_, stem) => ({ volume: 1, muted: false, solo: stem === heard })), false);
  const passes = async (moment) => { while (engine.position < moment) await new Promise((later) => setTimeout(later, 20)); };
  only(1);
  engine.seek(3);
  await engine.play();
  await passes(3.3);
  only(0);
  const switched = engine.position;
  await passes(3.6);
  const found = { isMixing: engine.isMixing, state: engine.state, switched };
  engine.close();
  return found;
}"""


def test_compressed_stems_are_decoded_whole_and_stay_in_step(
    browsing: BrowserThread, make_home: MakeHome, sandbox: Sandbox
) -> None:
    home = with_page(make_home(sandbox.url))
    (home.inbox / "song.flac").write_bytes(flac_of(sweep(100)))
    assert home.command("run", "--once").returncode == 0
    pitches = [300, 450]
    for track, pitch in zip(home.jobs()[0]["tracks"], pitches, strict=True):
        Path(track["path"]).write_bytes(flac_of(sweep(pitch)))
    stems = [[sample / 32768 for sample in sweep(pitch)] for pitch in pitches]
    with page_alone(home), browsing.visit(address_of(home)) as visit:
        visit.log_in()
        visit.open("log")
        both = [one + other for one, other in zip(*stems, strict=True)]
        assert farthest(rendered(visit, extension="flac"), both) < 1e-4  # decoders scale 16 bits by 32767 or 32768
        assert farthest(rendered(visit, extension="flac", settings=[{"solo": True}, {}]), stems[0]) < 1e-4
        found = visit.page.evaluate(SINGLE, ["api/jobs/1/tracks/1", "api/jobs/1/tracks/2"])
        assert (found["isMixing"], found["state"]) == (False, "playing")
        assert 3.2 < found["switched"] < 4


LAG = """async ({lag, rate}) => {
  const { lagOf } = await import("./static/player/align.js");
  const { wholeSource } = await import("./static/player/sources.js");
  const context = new OfflineAudioContext(1, rate, rate);
  const sound = (at, kind) => {
    const n = Math.round(at * rate);
    if (n < 0) return 0;
    const noise = Math.sin(n * 12.9898 + kind * 78.233) * 43758.5453;
    return (noise - Math.floor(noise) - 0.5) * Math.abs(Math.sin(at * 3 + kind)) * 0.5;
  };
  const buffer = (kinds, delay) => {
    const made = context.createBuffer(1, rate * 8, rate);
    const out = made.getChannelData(0);
    for (let n = 0; n < out.length; n++) out[n] = kinds.reduce((sum, kind) => sum + sound(n / rate - delay, kind), 0);
    return wholeSource(made);
  };
  const stems = [buffer([1], lag), buffer([2], lag)];
  return [await lagOf(stems, buffer([1, 2], 0), rate), await lagOf(stems, buffer([5], 0), rate)];
}"""


@pytest.mark.parametrize("lag", [0.043, 0.0, -0.02])
def test_the_original_is_aligned_with_the_stems(lag: float, done_visit: Visit) -> None:
    done_visit.open("log")
    found, of_another_song = done_visit.page.evaluate(LAG, {"lag": lag, "rate": 22050})
    assert found == pytest.approx(-lag, abs=8 / 22050)
    assert of_another_song == 0


# Hears what the page plays: the loudest sample at the output within the last 0.2 s.
TAP = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...more) {
  if (target instanceof AudioDestinationNode && !(this instanceof AnalyserNode)) {
    const tap = this.context.createAnalyser();
    tap.fftSize = 4096;
    connect.call(this, tap);
    window.loudness = () => {
      const heard = new Float32Array(tap.fftSize);
      tap.getFloatTimeDomainData(heard);
      return Math.max(...heard.map(Math.abs));
    };
  }
  return connect.call(this, target, ...more);
};
"""


@pytest.mark.usefixtures("stems")
def test_the_player_is_worked_by_keys_and_buttons(done_visit: Visit) -> None:
    page = done_visit.page
    page.add_init_script(TAP)
    done_visit.open("jobs/1/play")
    done_visit.until("window.loudness && loudness() > 0.2", "it is heard")
    assert page.locator(".player .play").inner_text() == "Pause"

    page.keyboard.press("Shift+Digit1")
    assert page.get_by_role("button", name="Mute Vocals").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Mute Instrumental").click()
    done_visit.until("loudness() < 0.001", "it is silent")
    page.locator("h1").click()
    page.keyboard.press("Digit1")
    done_visit.until("loudness() > 0.1", "one stem is heard")

    page.keyboard.press("ArrowRight")
    done_visit.until("Number(document.querySelector('.position')?.value) > 5", "it has skipped")
    page.keyboard.press("l")
    assert page.get_by_role("button", name="Loop to here").is_visible()
    page.keyboard.press("Space")
    assert page.locator(".player .play").inner_text() == "Play"
    done_visit.until("loudness() === 0", "it has stopped")
    assert not done_visit.complaints


@pytest.fixture
def restored(done_home: Home) -> Iterator[Path]:
    """The first track's file, which is as before afterwards."""
    path = Path(done_home.jobs()[0]["tracks"][0]["path"])
    content = path.read_bytes()
    yield path
    path.write_bytes(content)


def test_a_slider_keeps_the_focus_while_it_is_worked_by_keys(done_visit: Visit) -> None:
    page = done_visit.open("jobs/1")
    slider = page.get_by_label("Position", exact=True)
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.className") == "position"
    assert float(slider.input_value()) == pytest.approx(0.3)


def test_a_track_that_cannot_be_played_says_why(done_visit: Visit, restored: Path) -> None:
    restored.write_bytes(b"this is no sound")
    page = done_visit.open("jobs/1/play")
    page.get_by_text("This is not a WAV file.").wait_for()
    restored.unlink()
    page.get_by_role("button", name="Play", exact=True).click()
    page.get_by_text("The file is not there any more.").wait_for()


def test_a_lost_connection_stalls_the_music_until_it_is_back(done_visit: Visit, restored: Path) -> None:
    with wave.open(str(restored), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(bytes(2 * RATE * 60))
    page = done_visit.open("jobs/1/play")
    done_visit.until("Number(document.querySelector('.position')?.value) > 0.1", "it plays")
    done_visit.context.set_offline(True)
    page.locator(".position").evaluate("(slider) => { slider.value = 40; slider.oninput({ target: slider }); }")
    page.locator(".player").get_by_text("lalald cannot be reached.").wait_for()
    done_visit.context.set_offline(False)
    done_visit.until("Number(document.querySelector('.position')?.value) > 40.2", "it goes on")
    page.locator(".player").get_by_text("lalald cannot be reached.").wait_for(state="hidden")


def test_a_session_that_ends_in_mid_play_asks_for_the_password(browsing: BrowserThread, done_home: Home) -> None:
    with browsing.visit(address_of(done_home)) as visit:
        visit.log_in()
        page = visit.open("jobs/1/play")
        visit.until("Number(document.querySelector('.position')?.value) > 0.1", "it plays")
        headers = {"X-Lalald": "1", "Origin": visit.address}
        visit.context.request.post(f"{visit.address}/api/logout", data={}, headers=headers)
        page.get_by_label("Password").wait_for()
        assert page.locator(".player").count() == 0
