"""stub"""


def up() -> None:
    """stub"""
