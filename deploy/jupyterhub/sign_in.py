"""How people sign in. As it is, for trying only: who has the password can come in as any learner.

For a class, accounts that people have already: docs/jupyterhub.md. What is secret comes from the Secret `sign-in`.
"""

import os

c = get_config()  # noqa: F821 - JupyterHub provides it

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["LEARNERS_PASSWORD"]
c.SharedPasswordAuthenticator.admin_password = os.environ["TEACHERS_PASSWORD"]
