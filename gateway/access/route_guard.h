// Stands before the routes that ask who it is: the one place that authenticates, and that holds what a principal may
// use against what a route needs (said in gateway.cc, where the routes are). Handlers behind it are given the principal
// and look at no credential.
//
// A request is looked at twice: at its head, before any byte of its body is kept, and again when the body is there,
// which takes its time: the credential may be void by then. Thread-safe.
#pragma once

#include <functional>
#include <string_view>

#include "gateway/access/authenticator.h"
#include "gateway/http/body_budget.h"
#include "gateway/http/response_writer.h"
#include "gateway/http/router.h"

namespace allod::gateway::access {

class RouteGuard {
 public:
  using Handler = std::function<http::Awaitable<void>(const Principal&, http::Request&, http::ResponseWriter&)>;

  // `authenticator` must outlive this, and this every route that it guards.
  explicit RouteGuard(const Authenticator& authenticator) : authenticator_(authenticator) {}
  RouteGuard(const RouteGuard&) = delete;

  // Who asks, by the head alone: on whose account a body is read. The authenticator's errors.
  Result<http::BodyAccount> AccountOf(const http::Request& head) const;

  // A route that runs `handler` for principals that have the scope; others are told why not: the authenticator's
  // errors, PERMISSION_DENIED / SCOPE_MISSING.
  http::Router::Handler Guard(Scope needed, Handler handler) const;

 private:
  Result<Principal> Authorise(const http::Request& request, Scope needed) const;
  http::Awaitable<void> Run(Scope needed, const Handler& handler, http::Request& request,
                            http::ResponseWriter& out) const;

  const Authenticator& authenticator_;
};

}  // namespace allod::gateway::access
