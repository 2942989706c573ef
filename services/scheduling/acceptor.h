// Judges a spec by what the peers, the regions and, if it names one, a quote say now: what both an instance and a quote
// of it are accepted by. Thread-safe; borrows what it is made with.
#pragma once

#include <string>

#include "services/common/clock.h"
#include "services/scheduling/peers.h"
#include "services/scheduling/quotes/quote_store.h"
#include "services/scheduling/region_board.h"

namespace allod::scheduling {

struct Accepted {
  Revision revision;
  QuotaScopes quotas;  // as far as it may grow; it is held against them when it is written
  quotes::QuotedPrices prices;
  ResidencyRules residency;
};

class Acceptor {
 public:
  // The regions of `config` are those of the board when a spec is judged.
  Acceptor(Peers& peers, quotes::QuoteStore& quotes, const RegionBoard& regions, const Clock& clock,
           AdmissionConfig config)
      : peers_(peers), quotes_(quotes), regions_(regions), clock_(clock), config_(std::move(config)) {}

  // As an instance. `standing` is what it is now; null: it is to be made. Errors of Peers::Ask, Admit and CheckBinding;
  // FAILED_PRECONDITION / CREDIT_USED_UP for what costs something by the hour.
  Result<Accepted> Accept(const std::string& project, const InstanceSpec& spec, const Revision* standing);
  // As something to be quoted: at the prices of its listing, whatever the credit.
  Result<Accepted> AcceptForQuote(const std::string& project, const InstanceSpec& spec);

 private:
  struct Judged {
    Accepted accepted;
    bool credit_used_up = false;
  };
  Result<Judged> Judge(const std::string& project, const InstanceSpec& spec, const std::string& price_book);
  Result<quotes::Quote> FindQuote(const std::string& project, const InstanceSpec& spec);

  Peers& peers_;
  quotes::QuoteStore& quotes_;
  const RegionBoard& regions_;
  const Clock& clock_;
  const AdmissionConfig config_;
};

}  // namespace allod::scheduling
