// Finds the handler for a request, and does what every route needs: metrics, HEAD, 404 and 405 as error objects.
#pragma once

#include <string>
#include <vector>

#include "gateway/http_server.h"

namespace allod::gateway {

class Router {
 public:
  // `path` is exact, or a prefix when it ends in '*'. `label` names the route in metrics.
  void Add(std::string method, std::string path, std::string label, HttpHandler handler);
  // Every method below the prefix.
  void AddPrefix(std::string prefix, std::string label, HttpHandler handler);

  // The longest matching route wins.
  Awaitable<void> Handle(HttpRequest& request, ResponseWriter& out) const;

 private:
  struct Route {
    std::string method;  // empty: any
    std::string path;
    bool prefix;
    std::string label;
    HttpHandler handler;
  };
  const Route* Find(const HttpRequest& request, bool& path_known) const;

  std::vector<Route> routes_;
};

}  // namespace allod::gateway
