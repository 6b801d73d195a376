# For those who have a container engine: the same file system that `npm run image` packs without one.
#   docker build -t cometmq/cometmq:dev .
#   docker run --rm -p 8081:8081 -v cometmq:/data cometmq/cometmq:dev standalone
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY . .
RUN node tools/setup/run.mjs image --root /rootfs

FROM scratch
COPY --from=build /rootfs /
COPY --from=build --chown=3000:3000 /rootfs/data /data
ENV PATH=/usr/bin NODE_ENV=production
WORKDIR /
USER 3000:3000
EXPOSE 8081 8082 9876 10911 5557
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/cometmq"]
CMD ["standalone"]
