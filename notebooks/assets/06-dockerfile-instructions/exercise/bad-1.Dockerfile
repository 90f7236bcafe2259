# It works. What is wrong with it?
FROM lab/toolbox
ADD . /app/
COPY session.txt /root/session
RUN /app/download && /app/publish >/app/receipt
RUN rm /root/session /app/session.txt
RUN chmod -R go-w /app
ENTRYPOINT ["sh", "-c", "/app/service; echo the end"]
