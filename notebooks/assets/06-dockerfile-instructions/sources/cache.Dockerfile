FROM lab/toolbox
COPY notes.txt /copied/
ADD http://10.77.0.2/notes.txt /fetched/
ADD git://10.77.0.1/notes.git /cloned/
