# A small package archive that serves version 1.0 first; /www/now leads to what it serves.
FROM lab/debian AS packages
COPY publish /
RUN sh /publish 1.0 /www/first && sh /publish 1.1 /www/second

FROM lab/toolbox
COPY --from=packages /www /www
RUN ln -s first /www/now
CMD ["httpd", "-f", "-p", "80", "-h", "/www"]
