# Makes the build context: one small folder in every form that COPY and ADD may meet. All dates are 3 February 2001.
set -e
cd "$(dirname "$0")"
rm -rf context && mkdir -p context/folder/below && cd context
echo "a file" >notes.txt
echo "in a folder" >folder/a.txt && echo "further below" >folder/below/b.txt
ln -s a.txt folder/link && ln -s notes.txt link
chmod 640 notes.txt && chmod 750 folder/below
find . -exec touch -h -d 2001-02-03T04:05:06Z {} +
tar --sort=name --owner=1000 --group=1000 -cf folder.tar folder
gzip -n -k folder.tar
python3 -m zipfile -c folder.zip folder
chmod 644 folder.tar folder.tar.gz folder.zip
find . -exec touch -h -d 2001-02-03T04:05:06Z {} +
