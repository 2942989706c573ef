// Stands before the routes that ask who it is: the one place that authenticates, and that holds what a principal may
// use against what a route needs (said in gateway.cc, where the routes are). Handlers behind it are given the principal
// and look at no credential.
//
// A request is looked at twice: at its head, before any byte of its body is kept, and again when the body is there,
// which takes its time: the credential may be void by then.
//
// Browsers have their credential in a cookie, which counts where there is no Authorization header. Other origins' pages
// can make a browser send it: what changes anything is taken of pages of this origin alone (`Sec-Fetch-Site`, or
// `Origin` where a browser does not send that). Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/access/authenticator.h"
#include "gateway/http/body_budget.h"
#include "gateway/http/response_writer.h"
#include "gateway/http/router.h"

namespace allod::gateway::access {

// Where browsers keep the credential of a session.
struct BrowserCredential {
  std::string cookie;  // its name; empty: they have none here
  std::string origin;  // of the pages that may use it, e.g. "https://allod.example"
  bool secure = true;
  std::chrono::seconds max_age{0};
};

class RouteGuard {
 public:
  using Handler = std::function<http::Awaitable<void>(const Principal&, http::Request&, http::ResponseWriter&)>;

  // `authenticator` must outlive this, and this every route that it guards.
  explicit RouteGuard(const Authenticator& authenticator, BrowserCredential browser = {})
      : authenticator_(authenticator), browser_(std::move(browser)) {}
  RouteGuard(const RouteGuard&) = delete;

  // Who asks, by the head alone: on whose account a body is read. The authenticator's errors.
  Result<http::BodyAccount> AccountOf(const http::Request& head) const;

  // A route that runs `handler` for principals that have the scope, for all if none is named; others are told why not:
  // the authenticator's errors, PERMISSION_DENIED / SCOPE_MISSING, OTHER_ORIGIN.
  http::Router::Handler Guard(std::optional<Scope> needed, Handler handler) const;

 private:
  struct Shown {
    std::string authorization;  // as such a header's value
    bool is_cookie = false;
  };
  Shown CredentialOf(const http::Request& request) const;
  Status CheckOrigin(const http::Request& request) const;
  Result<Principal> Authenticate(const http::Request& request, const Shown& shown) const;
  http::Awaitable<void> Run(std::optional<Scope> needed, const Handler& handler, http::Request& request,
                            http::ResponseWriter& out) const;

  const Authenticator& authenticator_;
  const BrowserCredential browser_;
};

}  // namespace allod::gateway::access
