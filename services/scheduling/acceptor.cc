#include "services/scheduling/acceptor.h"

#include <optional>
#include <utility>

namespace allod::scheduling {

Result<Acceptor::Judged> Acceptor::Judge(const std::string& project, const InstanceSpec& spec,
                                         const std::string& price_book) {
  ALLOD_TRY(const AdmissionFacts facts, peers_.Ask(project, spec, price_book));
  const RegionBoard::Seen seen = regions_.Read();
  ALLOD_CHECK_OK(CheckRead(seen));
  AdmissionConfig config = config_;
  config.regions = seen.regions->places;
  Judged out{.credit_used_up = facts.credit_used_up};
  ALLOD_TRY(out.accepted.revision, Admit(spec, facts, config));
  out.accepted.quotas = facts.quotas;
  out.accepted.residency = facts.residency;
  // What is admitted is priced.
  if (const auto row = FindPrice(spec, facts)) {
    out.accepted.prices = {out.accepted.revision.price_book, row->currency, row->prompt, row->completion, row->second};
  }
  return out;
}

Result<quotes::Quote> Acceptor::FindQuote(const std::string& project, const InstanceSpec& spec) {
  ALLOD_TRY(const Uuid id, quotes::QuoteIdOf("spec.quote", spec.quote));
  ALLOD_TRY(const TenantId tenant, TenantId::FromName(project));
  auto quote = quotes_.GetQuote(tenant, id);
  if (!quote && quote.error().code == Code::kNotFound) return std::unexpected(quotes::QuoteNotFound(spec.quote));
  return quote;
}

Result<Accepted> Acceptor::Accept(const std::string& project, const InstanceSpec& spec, const Revision* standing) {
  std::optional<quotes::Quote> quote;
  if (!spec.quote.empty()) {
    ALLOD_TRY(quote, FindQuote(project, spec));
  }
  ALLOD_TRY(Judged judged, Judge(project, spec, quote ? quote->prices.price_book : ""));
  if (quote) {
    const bool stands = standing != nullptr && standing->spec.quote == spec.quote;
    ALLOD_CHECK_OK(quotes::CheckBinding(*quote, project, judged.accepted.revision.spec, stands, clock_.Now()));
  }
  if (judged.credit_used_up && judged.accepted.prices.second > Amount()) {
    return FailedPrecondition("CREDIT_USED_UP",
                              "the credit of the tenant is used up, and the instance costs something by the hour: pay "
                              "what is owed, or take one that does not");
  }
  return std::move(judged.accepted);
}

Result<Accepted> Acceptor::AcceptForQuote(const std::string& project, const InstanceSpec& spec) {
  ALLOD_TRY(Judged judged, Judge(project, spec, ""));
  return std::move(judged.accepted);
}

}  // namespace allod::scheduling
