FROM lab/toolbox
RUN --mount=type=secret,id=session true
