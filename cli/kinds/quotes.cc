// Quotes, which `allod quote` makes.

#include "allod/scheduling/v1/quote.grpc.pb.h"
#include "cli/kinds/calls.h"

namespace allod::cli::kinds {
namespace {

namespace scheduling_v1 = allod::scheduling::v1;

ResourceKind QuoteKind() {
  using Service = scheduling_v1::QuoteService;
  return {.kind = "Quote",
          .plural = "quotes",
          .pattern = "tenants/*/projects/*/quotes/*",
          .parent_pattern = "tenants/*/projects/*",
          .columns = {{"NAME", "name"},
                      {"LISTING", "spec.listing"},
                      {"VARIANT", "spec.variant"},
                      {"CLASS", "spec.isolation_class"},
                      {"REPLICAS", "spec.replicas"},
                      {"PER HOUR", "instance_price_per_hour"},
                      {"30 DAYS", "monthly_cost.amount"},
                      {"CURRENCY", "currency_code"},
                      {"FITS", "fits"},
                      {"UNTIL", "expire_time"}},
          .prototype = &scheduling_v1::Quote::default_instance(),
          .get = Getter<Service>(&Service::Stub::GetQuote),
          .list = Lister<Service>(&Service::Stub::ListQuotes)};
}

}  // namespace

std::vector<ResourceKind> QuoteKinds() { return {QuoteKind()}; }

}  // namespace allod::cli::kinds
