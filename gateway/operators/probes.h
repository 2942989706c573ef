// What operators ask of the gateway: /healthz, /readyz, /metrics, and the API's description.
#pragma once

#include <memory>
#include <string>

#include "gateway/access/api_keys.h"
#include "gateway/federation/trust_table.h"
#include "gateway/http/response_writer.h"
#include "gateway/metering/escrow_funds.h"
#include "gateway/metering/journal.h"
#include "gateway/operators/pool_figures.h"
#include "gateway/serving/routes.h"

namespace allod::gateway::operators {

class Probes {
 public:
  // All references must outlive this.
  Probes(const access::ApiKeyTable& keys, const federation::TrustTable& trust, const serving::RouteTable& routes,
         const metering::Journal& journal, const metering::EscrowFunds& funds, std::shared_ptr<grpc::Channel> billing,
         PoolFigures& pool, std::string openapi_json)
      : keys_(keys),
        trust_(trust),
        routes_(routes),
        journal_(journal),
        funds_(funds),
        billing_(std::move(billing)),
        pool_(pool),
        openapi_json_(std::move(openapi_json)) {}

  // 200 while the process serves.
  http::Awaitable<void> Health(http::Request& request, http::ResponseWriter& out);
  // 200 when keys, who may come in by an identity provider, and routes are known and billing is reachable, else 503;
  // says which.
  http::Awaitable<void> Ready(http::Request& request, http::ResponseWriter& out);
  // This process's metrics, and those of the nodes while scheduling tells them.
  http::Awaitable<void> MetricsPage(http::Request& request, http::ResponseWriter& out);
  http::Awaitable<void> OpenApi(http::Request& request, http::ResponseWriter& out);

 private:
  const access::ApiKeyTable& keys_;
  const federation::TrustTable& trust_;
  const serving::RouteTable& routes_;
  const metering::Journal& journal_;
  const metering::EscrowFunds& funds_;
  const std::shared_ptr<grpc::Channel> billing_;
  PoolFigures& pool_;
  const std::string openapi_json_;
};

}  // namespace allod::gateway::operators
