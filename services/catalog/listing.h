// Listings: the commercial offer of a version, and which offers are valid. Pure: no I/O, no clock.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "services/catalog/domain.h"
#include "services/common/money.h"

namespace allod::catalog {

// PENDING: written, but its price book is not yet known to exist. Not visible to readers.
enum class ListingState { kPending, kActive, kWithdrawn };

// What one token, and one second of a replica, costs. One row per (currency, variant, isolation class).
struct TokenPrice {
  std::string currency_code;
  std::string variant_id;  // empty: every variant without a row of its own
  Amount prompt;           // per token
  Amount completion;
  std::string isolation_class;  // `pooled`, `isolated`, `dedicated`; empty: every class without a row of its own
  Amount instance_second = {};  // of one replica that answers

  bool operator==(const TokenPrice&) const = default;
};

struct Listing {
  std::string id;
  VersionKey version;
  std::string display_name;
  std::string license_terms;
  std::vector<std::string> territory;  // ISO 3166-1 alpha-2, sorted, unique; empty: every country
  std::vector<TokenPrice> prices;      // sorted by currency, variant and class
  Uuid price_book;                     // chosen before billing hears of it, so that a retry names the same one
  ListingState state = ListingState::kPending;
  Time create_time;

  std::string name() const { return "listings/" + id; }
  std::string price_book_name() const { return "priceBooks/" + price_book.ToString(); }
};

// A price as it is written: per million tokens.
std::string PerMillion(Amount per_token);
// Reads the prices of a row; that of an hour may be empty: nothing. `field` is e.g. "prices[0]". INVALID_ARGUMENT with
// UNKNOWN_CURRENCY, INVALID_PRICE, PRICE_OUT_OF_RANGE, INVALID_ISOLATION_CLASS or INVALID_ID.
Result<TokenPrice> ReadTokenPrice(const std::string& field, std::string_view currency_code, std::string_view variant_id,
                                  std::string_view isolation_class, std::string_view prompt_per_million,
                                  std::string_view completion_per_million, std::string_view instance_per_hour = {});

// Checks what an operator gave and puts territory and prices in order. INVALID_ARGUMENT with INVALID_ID, INVALID_TEXT,
// UNKNOWN_COUNTRY, DUPLICATE_COUNTRY, PRICE_REQUIRED, TOO_MANY_PRICES or DUPLICATE_PRICE.
Result<Listing> ValidListing(Listing listing);

// FAILED_PRECONDITION / UNKNOWN_VARIANT unless every priced variant is one of those that the version has.
Status CheckPricedVariants(const Listing& listing, const std::set<std::string>& variants);

// Whether a create request asks for what is already there (price book, state and time aside).
bool SameContent(const Listing& a, const Listing& b);
// ABORTED / LISTING_REPLACED: a concurrent request put other content in the place of a pending listing.
std::unexpected<Error> ListingReplaced(std::string_view id);

}  // namespace allod::catalog
