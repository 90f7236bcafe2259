# `docker buildx bake` builds the nine stages side by side. Each image is named after its stage: matrix:exec-shell.
target "default" {
  name    = "${entrypoint}-${cmd}"
  matrix  = { entrypoint = ["none", "shell", "exec"], cmd = ["none", "shell", "exec"] }
  context = "assets/06-dockerfile-instructions/matrix" # seen from the notebook's folder
  target  = "${entrypoint}-${cmd}"
  tags    = ["matrix:${entrypoint}-${cmd}"]
}
