"""stub"""


def train() -> None:
    """stub"""
