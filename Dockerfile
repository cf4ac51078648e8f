FROM python:3.13.9-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app

# The code is root's and the process is not: what breaks in can write to uploads and nowhere else. A volume that is
# mounted on /app/media takes the folder's owner with it.
RUN useradd --system --no-create-home app && install --directory --owner=app media

# Before the code: a change there does not install everything again.
COPY requirements/base.txt requirements/
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/base.txt

COPY . .
# Settings refuse to start half configured; these two are for this line only.
RUN SECRET_KEY=collectstatic SITE_URL=http://localhost python manage.py collectstatic --noinput

USER app
EXPOSE 8000
# http.client, because urllib would ask a proxy that the environment names.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/health/live/'); sys.exit(c.getresponse().status != 200)"]
# Of SERVER's choice; it takes this process' place, and so hears SIGTERM.
ENV HOST=0.0.0.0 PORT=8000
CMD ["python", "manage.py", "serve"]
