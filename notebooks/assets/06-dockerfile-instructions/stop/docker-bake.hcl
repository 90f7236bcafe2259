# One image for each stage of the Dockerfile: stop:dash-last.
target "default" {
  name = form
  matrix = {
    form = [
      "exec", "dash", "dash-last", "dash-first", "bash", "bash-last", "bash-first", "busybox", "busybox-last",
      "busybox-first", "repair-exec", "repair-trap", "repair-trap-wait", "stopsignal", "deaf",
    ]
  }
  context = "assets/06-dockerfile-instructions/stop" # seen from the notebook's folder
  target  = form
  tags    = ["stop:${form}"]
}
