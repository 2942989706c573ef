#include "services/billing/pg_store_prices.h"

#include <fmt/format.h>

#include "services/common/pg/row_reader.h"

namespace allod::billing {
namespace {

// The most specific row, as FindPrice has it.
constexpr std::string_view kFindTermsPrices = R"(
  SELECT b.id IS NOT NULL, p.variant_id, p.isolation_class, p.prompt_price, p.completion_price,
    p.instance_second_price
  FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS t (price_book_id, variant_id, isolation_class, place)
  LEFT JOIN billing.price_books b ON b.id = t.price_book_id
  LEFT JOIN LATERAL (
    SELECT x.* FROM billing.token_prices x
    WHERE x.price_book_id = t.price_book_id AND x.currency_code = $4 AND x.variant_id IN (t.variant_id, '')
      AND x.isolation_class IN (t.isolation_class, '')
    ORDER BY x.variant_id = '', x.isolation_class = '' LIMIT 1) AS p ON true
  ORDER BY t.place)";

constexpr std::string_view kPricesOfBook =
    "SELECT p.currency_code, p.variant_id, p.prompt_price, p.completion_price, p.isolation_class "
    "FROM billing.token_prices p WHERE p.price_book_id = $1::uuid";

}  // namespace

std::vector<KeyPrice> FindTermsPrices(PgTx& tx, const std::vector<PriceKey>& terms, const std::string& currency_code) {
  if (terms.empty()) return {};
  std::vector<std::string> books, variants, classes;
  for (const PriceKey& each : terms) {
    books.push_back(each.price_book.ToString());
    variants.push_back(VariantId(each.variant));
    classes.push_back(each.isolation_class);
  }
  return ReadAll(tx.Exec(kFindTermsPrices, books, variants, classes, currency_code), [&](RowReader& row) {
    KeyPrice out;
    row.Into(out.book_exists);
    if (row.NextIsNull()) {
      row.Skip(5);
      return out;
    }
    TokenPrice& price = out.price.emplace();
    price.currency_code = currency_code;
    row.Into(price.variant_id, price.isolation_class, price.prompt, price.completion, price.instance_second);
    return out;
  });
}

Result<std::vector<TokenPrice>> ReadPricesIn(PgTx& tx, Uuid price_book) {
  // None is without a price.
  const auto rows = tx.Exec(kPricesOfBook, price_book);
  if (rows.empty()) return NotFound(fmt::format("priceBooks/{} does not exist", price_book.ToString()));
  return ReadAll(rows, [](RowReader& row) {
    TokenPrice out;
    row.Into(out.currency_code, out.variant_id, out.prompt, out.completion, out.isolation_class);
    return out;
  });
}

}  // namespace allod::billing
