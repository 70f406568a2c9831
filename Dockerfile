# docker build -t lalald .     How to run it: README.md, "On a NAS", and .github/guides/docker.md

FROM python:3.13-slim AS build
COPY . /src
# Compiled here for good, whatever happens to the times of files on their way into a layer: compiling at each start takes
# time and memory. The image's `lalald` is that of lalald.container: it becomes the user of PUID and PGID, then runs the program.
RUN python -m venv --without-pip /opt/lalald \
 && pip --python /opt/lalald/bin/python install --no-cache-dir --no-compile '/src[notify]' \
 && /opt/lalald/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/lalald/lib \
 && printf '%s\n' '#!/opt/lalald/bin/python' 'from lalald.container.__main__ import main' 'raise SystemExit(main())' \
    > /opt/lalald/bin/lalald

FROM python:3.13-slim
LABEL org.opencontainers.image.title="lalald" \
      org.opencontainers.image.description="A watch-folder daemon for the LALAL.AI API: drop audio or video into a folder, stems and cleaned voices appear in another." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim"
COPY --from=build /opt/lalald /opt/lalald
# Fresh named volumes take over the mode of these folders, and so can be written by any user. They are not VOLUMEs: the program
# refuses to start without a mount, so nothing is kept in an anonymous volume.
RUN install -d -m 0777 /config /inbox /outbox
ENV PATH=/opt/lalald/bin:$PATH HOME=/config
# The page, as soon as it has a password.
EXPOSE 8910
# No USER: the program becomes PUID and PGID (1000:1000 if not set) before anything else; any --user works as well.
ENTRYPOINT ["lalald"]
CMD ["run"]
HEALTHCHECK --interval=1m --timeout=20s --start-period=10m CMD ["lalald", "health"]
