"""The pages for the developers of other sites: `/developers/` and the reference of the API at `/api/docs`."""
