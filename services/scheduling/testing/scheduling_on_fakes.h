// Scheduling whole, on a store in memory and with peers that always agree: for tests of what is built on it.
#pragma once

#include <string>
#include <vector>

#include "services/scheduling/drivers/process_driver.h"
#include "services/scheduling/grpc_peers.h"
#include "services/scheduling/instance_service.h"
#include "services/scheduling/operations_service.h"
#include "services/scheduling/quotes/quote_service.h"
#include "services/scheduling/quotes/testing/fake_quote_store.h"
#include "services/scheduling/reconciler.h"
#include "services/scheduling/region_service.h"
#include "services/scheduling/route_service.h"
#include "services/scheduling/testing/fake_peer_services.h"
#include "services/scheduling/testing/fake_region_store.h"
#include "services/scheduling/testing/fake_store.h"

namespace allod::scheduling {

// Of the regions `regions/ke-1` is in Kenya, `regions/tz-1` in Tanzania. Call `reconciler.Start()`.
struct SchedulingOnFakes {
  explicit SchedulingOnFakes(Clock& wall_clock) : clock(wall_clock) {
    // Of whom the tests have instances.
    std::vector<TenantTerms> all;
    for (const char* id : {"ke", "ug", "tz"})
      all.push_back({*TenantId::FromName(std::string("tenants/") + id), true, 1, {{"ke", "tz"}}});
    terms.Put(all, true);
    for (const RegionVersion& first : FirstVersions({{"ke-1", "ke"}, {"tz-1", "tz"}})) {
      regions.Put({*region_store.AddVersion(first)});
    }
  }

  Clock& clock;
  FakeStore store{clock};
  FakePeerServices peers;
  GrpcPeers grpc_peers{peers.target, peers.target, peers.target, std::chrono::milliseconds(3000)};
  ChangeSignal news;
  drivers::ProcessDriver driver{std::chrono::seconds(6), news};
  FakeRegionStore region_store{clock};
  RegionBoard regions{news};
  FiguresBoard figures;
  TermsInbox terms{news};
  Reconciler reconciler{store, driver, terms, regions, news, clock, {}};
  CallGates gates;
  Watchers gateways{"routes", 8};
  const RouteVisibility visibility{reconciler.routes(), gateways};
  quotes::FakeQuoteStore quote_store;
  Acceptor acceptor{grpc_peers, quote_store, regions, clock, {{}, 20, {}}};
  quotes::QuoteServiceImpl quotes{quote_store, store, acceptor, driver, regions, clock, gates};
  InstanceServiceImpl instances{
      store,    grpc_peers,
      figures,  visibility,
      clock,    gates,
      acceptor, [this](const TenantId& tenant, const std::string& instance) { reconciler.Wake(tenant, instance); }};
  OperationsServiceImpl operations{store, reconciler.progress(), gates};
  RouteServiceImpl routes{reconciler.routes(), gateways};
  RegionServiceImpl region_service{region_store, store, driver, regions, reconciler.routes(), gateways, clock, gates};
};

}  // namespace allod::scheduling
