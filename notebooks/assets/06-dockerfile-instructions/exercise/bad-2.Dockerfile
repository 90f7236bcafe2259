# It works. What is wrong with it?
FROM lab/toolbox AS build
COPY . /app
RUN cp /app/session.txt /root/session && /app/download && /app/publish >/app/receipt

FROM lab/toolbox
COPY --from=build /app /app
COPY --from=build /tmp/download /var/cache/download
RUN ln -s /app/service /usr/bin/service
CMD service; rm -rf /var/cache/download
