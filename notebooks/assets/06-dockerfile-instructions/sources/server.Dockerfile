# A web server for the build to fetch from.
FROM lab/toolbox
COPY . /www
CMD ["httpd", "-f", "-p", "80", "-h", "/www"]
