#include "gateway/access/route_guard.h"

#include <fmt/format.h>

#include <utility>

#include "gateway/http/cookie.h"
#include "gateway/http/error.h"
#include "gateway/http/forwarding_writer.h"

namespace allod::gateway::access {
namespace {

const char* NameOf(Scope scope) { return scope == Scope::kInference ? "SCOPE_INFERENCE" : "SCOPE_PORTAL"; }

// Gives a browser the credential that takes the place of its present one.
class RenewingWriter final : public http::ForwardingWriter {
 public:
  RenewingWriter(http::ResponseWriter& inner, std::string cookie)
      : ForwardingWriter(inner), cookie_(std::move(cookie)) {}

  http::Awaitable<http::Taken> Send(http::Response response) override {
    AddTo(response.headers);
    return ForwardingWriter::Send(std::move(response));
  }
  http::Awaitable<bool> StartStream(http::Headers headers) override {
    AddTo(headers);
    return ForwardingWriter::StartStream(std::move(headers));
  }

 private:
  // A handler that sets a cookie of its own, as signing out does, has the last word.
  void AddTo(http::Headers& headers) {
    for (const auto& [name, value] : headers) {
      if (name == "set-cookie") return;
    }
    headers.emplace_back("set-cookie", cookie_);
  }
  const std::string cookie_;
};

bool ChangesNothing(std::string_view method) { return method == "GET" || method == "HEAD" || method == "OPTIONS"; }

}  // namespace

RouteGuard::Shown RouteGuard::CredentialOf(const http::Request& request) const {
  const std::string_view authorization = request.Header("authorization");
  if (!authorization.empty() || browser_.cookie.empty()) return {std::string(authorization)};
  const std::string_view cookie = http::CookieOf(request, browser_.cookie);
  if (cookie.empty()) return {};
  return {"Bearer " + std::string(cookie), true};
}

Status RouteGuard::CheckOrigin(const http::Request& request) const {
  if (ChangesNothing(request.method)) return {};
  const std::string_view site = request.Header("sec-fetch-site");
  const std::string_view origin = request.Header("origin");
  const bool is_own = site.empty() ? origin == browser_.origin : site == "same-origin";
  if (is_own && (origin.empty() || origin == browser_.origin)) return {};
  return Fail(Code::kPermissionDenied, "OTHER_ORIGIN",
              fmt::format("a session in a cookie changes things for pages of {} only; elsewhere send an Authorization "
                          "header",
                          browser_.origin));
}

Result<Principal> RouteGuard::Authenticate(const http::Request& request, const Shown& shown) const {
  if (shown.is_cookie) ALLOD_CHECK_OK(CheckOrigin(request));
  return authenticator_.Authenticate(shown.authorization, request.client);
}

Result<http::BodyAccount> RouteGuard::AccountOf(const http::Request& head) const {
  ALLOD_TRY(Principal principal, Authenticate(head, CredentialOf(head)));
  return http::BodyAccount{std::move(principal.tenant), std::move(principal.id)};
}

http::Router::Handler RouteGuard::Guard(std::optional<Scope> needed, Handler handler) const {
  return [this, needed, handler = std::move(handler)](http::Request& request, http::ResponseWriter& out) {
    return Run(needed, handler, request, out);
  };
}

http::Awaitable<void> RouteGuard::Run(std::optional<Scope> needed, const Handler& handler, http::Request& request,
                                      http::ResponseWriter& out) const {
  const Shown shown = CredentialOf(request);
  Result<Principal> principal = Authenticate(request, shown);
  if (principal && needed && !principal->Has(*needed)) {
    principal = Fail(Code::kPermissionDenied, "SCOPE_MISSING",
                     fmt::format("this credential does not have the scope {}", NameOf(*needed)));
  }
  if (!principal) {
    http::Response refusal = http::ErrorResponse(http::ErrorStyleOf(request.path), principal.error());
    co_await out.Send(std::move(refusal));
    co_return;
  }
  if (!shown.is_cookie || principal->renewed_credential.empty()) {
    co_await handler(*principal, request, out);
    co_return;
  }
  RenewingWriter renewing(
      out, http::SetCookie({browser_.cookie, principal->renewed_credential, browser_.max_age, browser_.secure}));
  co_await handler(*principal, request, renewing);
}

}  // namespace allod::gateway::access
