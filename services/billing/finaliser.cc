#include "services/billing/finaliser.h"

#include <optional>

#include "services/common/log.h"
#include "services/common/tenant_round.h"

namespace allod::billing {
namespace {

constexpr std::chrono::minutes kFinaliserPeriod{1};

}  // namespace

Finaliser::Finaliser(Store& store, const Clock& clock, std::chrono::seconds grace)
    : store_(store),
      clock_(clock),
      grace_(grace),
      loop_("finalise months", kFinaliserPeriod, [this](const std::stop_token& stop) -> Status {
        ALLOD_CHECK_OK(RunOnce(stop));
        return {};
      }) {}

Result<int> Finaliser::RunOnce(const std::stop_token& stop) {
  int finalised = 0;
  ALLOD_CHECK_OK(
      GoRound(set_aside_, clock_,
              TenantRound<DuePeriod>{
                  .stage = "finalise",
                  .page_size = kTenantsPerPage,
                  .find =
                      [&](const auto& after) {
                        return store_.TenantsWithDuePeriods(clock_.Now() - grace_, after, kTenantsPerPage);
                      },
                  .work = [&](const DuePeriod& period) -> Status {
                    const InvoicePeriod month = PeriodOf(period.month);
                    ALLOD_TRY(const IssuedInvoice invoice,
                              store_.FinaliseInvoice({period.tenant, month, grace_}, clock_.Now()));
                    Log(LogLevel::kInfo, "finalised an invoice",
                        {{"tenant", invoice.tenant_name}, {"invoice", invoice.id}, {"number", invoice.number}});
                    ++finalised;
                    return {};
                  },
                  .stop = stop}));
  return finalised;
}

}  // namespace allod::billing
