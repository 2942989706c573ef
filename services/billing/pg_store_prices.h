// Prices by terms. Included by the pg_store*.cc files only.
#pragma once

#include <string>
#include <vector>

#include "services/billing/domain.h"
#include "services/common/pg/pool.h"

namespace allod::billing {

// One for each of the terms, in that order. One round trip; none for no terms.
std::vector<KeyPrice> FindTermsPrices(PgTx& tx, const std::vector<PriceKey>& terms, const std::string& currency_code);

// What tokens cost by the book. NOT_FOUND.
Result<std::vector<TokenPrice>> ReadPricesIn(PgTx& tx, Uuid price_book);

}  // namespace allod::billing
