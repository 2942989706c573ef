// Finds the handler for a request, and does what every route needs: metrics, HEAD and OPTIONS, keys before bodies,
// cross-origin headers, and 404, 405 and 401 as error objects.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/http/cors.h"
#include "gateway/http/server.h"

namespace allod::gateway::http {

class Router final : public Application {
 public:
  using Handler = std::function<Awaitable<void>(Request&, ResponseWriter&)>;
  // Whose key a head has.
  using Authenticate = std::function<Result<BodyAccount>(const Request& head)>;
  // The methods that a path takes; empty if there is nothing.
  using MethodsOf = std::function<std::vector<std::string>(std::string_view path)>;
  enum class Access {
    kOpen,  // no key is asked for, and no body is read
    kForm,  // no key is asked for, and a small body is read: all that strangers send shares what one tenant may have
    kKey,   // the head must have a valid key; the handler looks again when the body is there
  };

  // `authenticate` may be empty when no route asks for a key.
  Router(Cors cors, Authenticate authenticate) : cors_(std::move(cors)), authenticate_(std::move(authenticate)) {}

  // Not while the router is used. `path` is exact, or a prefix when it ends in '*'. `label` names the route in metrics.
  void Add(std::string method, std::string path, std::string label, Access access, Handler handler);
  // What is below the prefix has more structure.
  void AddPrefix(std::string prefix, std::string label, MethodsOf methods, Handler handler);

  std::expected<BodyAccount, Response> Admit(const Request& head) override;
  Awaitable<void> Handle(Request& request, ResponseWriter& out) override;
  Headers CommonHeaders(const Request& head) const override { return cors_.HeadersFor(head); }
  void OnRefused(const Request& head, int status) override;

 private:
  struct Route {
    std::string path;
    bool prefix;
    std::string label;
    Access access;
    MethodsOf methods;
    Handler handler;
  };
  // The longest that takes the path and the method; null, with all methods that the path takes, if there is none.
  const Route* Find(const Request& head, std::vector<std::string>& methods) const;

  std::vector<Route> routes_;
  const Cors cors_;
  const Authenticate authenticate_;
};

}  // namespace allod::gateway::http
