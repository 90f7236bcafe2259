# Wants more and more for about two seconds: a processor at once, 80 MB in ten steps, and twelve processes.
(while :; do :; done) &
for step in 0 1 2 3 4 5 6 7 8 9; do
    sleep 3 &
    block=$(head -c 8000000 /dev/zero | tr '\0' x)
    eval "block$step=\$block"
    sleep 0.1
done
exit 0
