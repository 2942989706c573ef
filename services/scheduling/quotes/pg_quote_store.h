// The QuoteStore on PostgreSQL.
#pragma once

#include "services/common/pg/pool.h"
#include "services/scheduling/quotes/quote_store.h"

namespace allod::scheduling::quotes {

class PgQuoteStore final : public QuoteStore {
 public:
  explicit PgQuoteStore(PgPool& pool) : pool_(pool) {}

  Result<Quote> AddQuote(const Quote& quote, const std::string& tenant_name) override;
  Result<Quote> GetQuote(const TenantId& tenant, const Uuid& id) override;
  Result<std::vector<Quote>> ListQuotes(const TenantId& tenant, const std::string& project,
                                        const PageRequest& page) override;
  Result<std::vector<scheduler::Replica>> ListPlaced() override;

 private:
  PgPool& pool_;
};

}  // namespace allod::scheduling::quotes
