"""A project without URLs."""

urlpatterns = []
