"""What every order has, and what several need."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter

from models.whitelist import Password, Word

_password = TypeAdapter(Password)
GENERATE = "Make up a root password; it is handed out once, when the job is done."


def checked_password(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None:
        try:
            _password.validate_python(secret.get_secret_value())
        except ValueError:  # pydantic's own text would repeat the password
            raise ValueError("not a password of 8 to 128 printable characters without blanks") from None
    return secret


class Asked(BaseModel):
    """An order; its kind tells it from others."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)  # an input may be a password

    site: Word | None = Field(None, description="Site whose nodes and workers serve it; the installation's own site if left out.")
