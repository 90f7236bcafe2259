FROM lab/toolbox
ADD --unpack=true http://10.77.0.2/folder.tar.gz /out/
CMD ["ls", "/out"]
