// What operators ask of the gateway: /healthz, /readyz, /metrics, and the API's description.
#pragma once

#include <memory>
#include <string>

#include "gateway/access/api_keys.h"
#include "gateway/http/response_writer.h"
#include "gateway/metering/journal.h"
#include "gateway/operators/pool_figures.h"
#include "gateway/serving/routes.h"

namespace allod::gateway {

class Probes {
 public:
  // All references must outlive this.
  Probes(const ApiKeyTable& keys, const RouteTable& routes, const Journal& journal,
         std::shared_ptr<grpc::Channel> billing, PoolFigures& pool, std::string openapi_json)
      : keys_(keys),
        routes_(routes),
        journal_(journal),
        billing_(std::move(billing)),
        pool_(pool),
        openapi_json_(std::move(openapi_json)) {}

  // 200 while the process serves.
  Awaitable<void> Health(HttpRequest& request, ResponseWriter& out);
  // 200 when keys and routes are known and billing is reachable, else 503; says which.
  Awaitable<void> Ready(HttpRequest& request, ResponseWriter& out);
  // This process's metrics, and those of the nodes while scheduling tells them.
  Awaitable<void> MetricsPage(HttpRequest& request, ResponseWriter& out);
  Awaitable<void> OpenApi(HttpRequest& request, ResponseWriter& out);

 private:
  const ApiKeyTable& keys_;
  const RouteTable& routes_;
  const Journal& journal_;
  const std::shared_ptr<grpc::Channel> billing_;
  PoolFigures& pool_;
  const std::string openapi_json_;
};

}  // namespace allod::gateway
