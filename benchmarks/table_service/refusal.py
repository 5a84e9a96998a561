"""What the service refuses, with the codes that it documents.

https://learn.microsoft.com/rest/api/storageservices/table-service-error-codes
"""


class Refused(Exception):
    """A request, or one write of a transaction, can't be done.

    Attributes:
        status: Of HTTP.
        code: The documented error code.
        text: For a person.
    """

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(f"{status} {code}: {text}")
        self.status = status
        self.code = code
        self.text = text


class TransactionRefused(Exception):
    """Nothing of a transaction was done, as one of its writes was refused.

    Attributes:
        index: Which of them.
        refusal: Why.
    """

    def __init__(self, index: int, refusal: Refused) -> None:
        super().__init__(f"write {index}: {refusal}")
        self.index = index
        self.refusal = refusal
