# It works. What is wrong with it?
FROM lab/toolbox
COPY . /app
RUN cp /app/session.txt /root/session
RUN /app/download
RUN /app/publish >/app/receipt
RUN rm -r /root/session /app/session.txt /tmp/download
CMD /app/service | tee /tmp/service.log
