// Starts Swagger UI (a classic script of django-ninja's that makes SwaggerUIBundle) on our document.
// Calls from here carry the portal's session, so unsafe ones need its CSRF token.

const place = document.getElementById("api-docs");

globalThis.SwaggerUIBundle({
  url: place.dataset.documentUrl,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  presets: [globalThis.SwaggerUIBundle.presets.apis],
  requestInterceptor(request) {
    const isOurs = new URL(request.url, location.href).origin === location.origin;
    if (isOurs) request.headers["X-CSRFToken"] = place.dataset.csrfToken;
    return request;
  },
});
