#include "gateway/access/route_guard.h"

#include <fmt/format.h>

#include <utility>

#include "gateway/http/error.h"

namespace allod::gateway::access {
namespace {

const char* NameOf(Scope scope) { return scope == Scope::kInference ? "SCOPE_INFERENCE" : "SCOPE_PORTAL"; }

}  // namespace

Result<http::BodyAccount> RouteGuard::AccountOf(const http::Request& head) const {
  ALLOD_TRY(Principal principal, authenticator_.Authenticate(head.Header("authorization"), head.client));
  return http::BodyAccount{std::move(principal.tenant), std::move(principal.id)};
}

http::Router::Handler RouteGuard::Guard(Scope needed, Handler handler) const {
  return [this, needed, handler = std::move(handler)](http::Request& request, http::ResponseWriter& out) {
    return Run(needed, handler, request, out);
  };
}

Result<Principal> RouteGuard::Authorise(const http::Request& request, Scope needed) const {
  ALLOD_TRY(Principal principal, authenticator_.Authenticate(request.Header("authorization"), request.client));
  if (!principal.Has(needed)) {
    return Fail(Code::kPermissionDenied, "SCOPE_MISSING",
                fmt::format("this credential does not have the scope {}", NameOf(needed)));
  }
  return principal;
}

http::Awaitable<void> RouteGuard::Run(Scope needed, const Handler& handler, http::Request& request,
                                      http::ResponseWriter& out) const {
  const Result<Principal> principal = Authorise(request, needed);
  if (!principal) {
    http::Response refusal = http::ErrorResponse(http::ErrorStyleOf(request.path), principal.error());
    co_await out.Send(std::move(refusal));
    co_return;
  }
  co_await handler(*principal, request, out);
}

}  // namespace allod::gateway::access
