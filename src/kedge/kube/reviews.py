"""Questions that are posted and answered at once, and never stored: who somebody is, and what they may do."""

from kedge.kube.kinds import Kind
from kedge.kube.schemas import CoreSchema


def _review(kind: str, plural: str, group: str = "authorization.k8s.io", *, namespaced: bool = False) -> Kind:
    return Kind(kind, plural, group=group, namespaced=namespaced, verbs=("create",), schema=CoreSchema(kind))


TOKEN_REVIEW = _review("TokenReview", "tokenreviews", "authentication.k8s.io")
SELF_SUBJECT_REVIEW = _review("SelfSubjectReview", "selfsubjectreviews", "authentication.k8s.io")
SELF_SUBJECT_ACCESS_REVIEW = _review("SelfSubjectAccessReview", "selfsubjectaccessreviews")
SELF_SUBJECT_RULES_REVIEW = _review("SelfSubjectRulesReview", "selfsubjectrulesreviews")
SUBJECT_ACCESS_REVIEW = _review("SubjectAccessReview", "subjectaccessreviews")
LOCAL_SUBJECT_ACCESS_REVIEW = _review("LocalSubjectAccessReview", "localsubjectaccessreviews", namespaced=True)
KINDS = (
    TOKEN_REVIEW,
    SELF_SUBJECT_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    LOCAL_SUBJECT_ACCESS_REVIEW,
)
