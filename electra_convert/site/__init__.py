"""A model as a page that any static server serves: scored and answered in the browser, without a server of ours."""
