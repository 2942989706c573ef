// The QuoteStore in memory, for tests; nothing is placed on its nodes. Thread-safe.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include "services/scheduling/quotes/quote_store.h"

namespace allod::scheduling::quotes {

class FakeQuoteStore final : public QuoteStore {
 public:
  Result<Quote> AddQuote(const Quote& quote, const std::string& /*tenant_name*/) override {
    const std::lock_guard lock(mutex_);
    if (const auto stored = quotes_.find({quote.tenant, quote.id}); stored != quotes_.end()) {
      ALLOD_CHECK_OK(CheckSameAsked(stored->second, quote));
      return stored->second;
    }
    const auto open = std::ranges::count_if(quotes_, [&](const auto& entry) {
      return entry.first.first == quote.tenant && entry.second.expire_time > quote.create_time;
    });
    ALLOD_CHECK_OK(RoomForQuote(open));
    return quotes_[{quote.tenant, quote.id}] = quote;
  }
  Result<Quote> GetQuote(const TenantId& tenant, const Uuid& id) override {
    const std::lock_guard lock(mutex_);
    const auto stored = quotes_.find({tenant, id});
    if (stored == quotes_.end()) return NotFound("the quote " + id.ToString() + " does not exist");
    return stored->second;
  }
  Result<std::vector<Quote>> ListQuotes(const TenantId& tenant, const std::string& project,
                                        const PageRequest& page) override {
    const std::lock_guard lock(mutex_);
    std::vector<Quote> out;
    for (const auto& [key, quote] : quotes_) {
      if (key.first == tenant && quote.project == project) out.push_back(quote);
    }
    std::ranges::sort(out, std::ranges::greater(),
                      [](const Quote& quote) { return std::tuple(quote.create_time, quote.id); });
    if (!page.after.empty()) {
      const auto last =
          std::ranges::find_if(out, [&](const Quote& quote) { return quote.id.ToString() == page.after; });
      out.erase(out.begin(), last == out.end() ? last : last + 1);
    }
    if (std::ssize(out) > page.size + 1) out.resize(static_cast<std::size_t>(page.size + 1));
    return out;
  }
  Result<std::vector<scheduler::Replica>> ListPlaced() override { return std::vector<scheduler::Replica>(); }

 private:
  std::mutex mutex_;
  std::map<std::pair<TenantId, Uuid>, Quote> quotes_;
};

}  // namespace allod::scheduling::quotes
