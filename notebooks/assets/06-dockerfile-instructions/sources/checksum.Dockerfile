FROM lab/toolbox
ARG SUM
ADD --checksum=sha256:${SUM} http://10.77.0.2/notes.txt /out/
