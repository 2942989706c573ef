// Where quotes are kept. Each method is one whole transaction; thread-safe, may block, may fail with UNAVAILABLE.
#pragma once

#include <string>
#include <vector>

#include "services/common/page_token.h"
#include "services/scheduling/quotes/quote.h"

namespace allod::scheduling::quotes {

class QuoteStore {
 public:
  virtual ~QuoteStore() = default;

  // The same id again: the stored one, if it is of what is asked now. RESOURCE_EXHAUSTED / TOO_MANY_QUOTES;
  // ALREADY_EXISTS / REQUEST_ID_REUSED. Forgets some that expired long ago.
  virtual Result<Quote> AddQuote(const Quote& quote, const std::string& tenant_name) = 0;
  virtual Result<Quote> GetQuote(const TenantId& tenant, const Uuid& id) = 0;  // NOT_FOUND
  // Of the project of that name, newest first; one more than the page's size if there is.
  virtual Result<std::vector<Quote>> ListQuotes(const TenantId& tenant, const std::string& project,
                                                const PageRequest& page) = 0;
  // What takes room on nodes now, of all tenants.
  virtual Result<std::vector<scheduler::Replica>> ListPlaced() = 0;
};

}  // namespace allod::scheduling::quotes
