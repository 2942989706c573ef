#include "services/catalog/pg_rows.h"
#include "services/catalog/pg_store.h"

namespace allod {

template <>
inline constexpr auto kRowWords<catalog::ListingState> =
    std::to_array<RowWord<catalog::ListingState>>({{catalog::ListingState::kPending, "PENDING"},
                                                   {catalog::ListingState::kActive, "ACTIVE"},
                                                   {catalog::ListingState::kWithdrawn, "WITHDRAWN"}});

}  // namespace allod

namespace allod::catalog {
namespace {

constexpr char kListingColumns[] =
    "id, model_id, version_id, display_name, license_terms, territory, price_book_id, "
    "state, " ALLOD_MICROS("create_time");

TokenPrice ReadPrice(RowReader& row) {
  TokenPrice out;
  row.Into(out.currency_code, out.variant_id, out.prompt, out.completion, out.isolation_class, out.instance_second);
  return out;
}

Listing ReadListingRow(GlobalTx& tx, RowReader& row) {
  Listing out;
  row.Into(out.id, out.version.model, out.version.version, out.display_name, out.license_terms, out.territory,
           out.price_book, out.state, out.create_time);
  out.prices = ReadAll(
      tx.Exec(
          "SELECT currency_code, variant_id, prompt_price_pico::text, completion_price_pico::text, isolation_class, "
          "instance_second_price_pico::text FROM catalog.listing_prices WHERE listing_id = $1 ORDER BY currency_code, "
          "variant_id, isolation_class",
          out.id),
      ReadPrice);
  return out;
}

Result<Listing> ReadListing(GlobalTx& tx, const std::string& id, std::string_view condition) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM catalog.listings WHERE id = $1 {}", kListingColumns, condition), id);
  if (rows.empty()) return DoesNotExist("listings/" + id);
  return ReadFirst(rows, [&](RowReader& row) { return ReadListingRow(tx, row); });
}

void InsertPrices(GlobalTx& tx, const Listing& listing) {
  for (const TokenPrice& price : listing.prices) {
    tx.Exec(
        "INSERT INTO catalog.listing_prices (listing_id, currency_code, variant_id, prompt_price_pico, "
        "completion_price_pico, isolation_class, instance_second_price_pico) "
        "VALUES ($1, $2, $3, $4::numeric, $5::numeric, $6, $7::numeric)",
        listing.id, price.currency_code, price.variant_id, price.prompt, price.completion, price.isolation_class,
        price.instance_second);
  }
}

// True when the row is new.
bool InsertListing(GlobalTx& tx, const Listing& l) {
  const auto inserted = tx.Exec(
      "INSERT INTO catalog.listings (id, model_id, version_id, display_name, license_terms, territory, price_book_id, "
      "state, "
      "create_time) VALUES ($1, $2, $3, $4, $5, $6::text[], $7, 'PENDING', " ALLOD_FROM_MICROS(
          "$8") ") ON CONFLICT (id) DO NOTHING",
      l.id, l.version.model, l.version.version, l.display_name, l.license_terms, l.territory, l.price_book.ToString(),
      l.create_time);
  if (inserted.affected_rows() == 0) return false;
  InsertPrices(tx, l);
  return true;
}

void ReplaceListing(GlobalTx& tx, const Listing& l) {
  tx.Exec(
      "UPDATE catalog.listings SET model_id = $2, version_id = $3, display_name = $4, license_terms = $5, "
      "territory = $6::text[], price_book_id = $7, create_time = " ALLOD_FROM_MICROS("$8") " WHERE id = $1",
      l.id, l.version.model, l.version.version, l.display_name, l.license_terms, l.territory, l.price_book.ToString(),
      l.create_time);
  tx.Exec("DELETE FROM catalog.listing_prices WHERE listing_id = $1", l.id);
  InsertPrices(tx, l);
}

}  // namespace

Result<Listing> PgStore::PrepareListing(const Listing& listing, const RequestId& request) {
  return pool_.Run<Listing>(
      [&](GlobalTx& tx) -> Result<Listing> {
        ALLOD_CHECK_OK(RecallRequest(tx, request));
        ALLOD_CHECK_OK(ReadVersion(tx, listing.version));
        const auto variants = ReadAll(tx.Exec("SELECT id FROM catalog.variants WHERE model_id = $1 AND version_id = $2",
                                              listing.version.model, listing.version.version),
                                      [](RowReader& row) { return row.Next<std::string>(); });
        ALLOD_CHECK_OK(CheckPricedVariants(listing, {variants.begin(), variants.end()}));
        if (!InsertListing(tx, listing)) {
          ALLOD_TRY(const Listing stored, ReadListing(tx, listing.id, "FOR UPDATE"));
          if (!SameContent(stored, listing)) {
            if (stored.state != ListingState::kPending) return std::unexpected(TakenByOtherContent(listing.name()));
            ReplaceListing(tx, listing);
          }
        }
        ALLOD_CHECK_OK(RememberRequest(tx, request, listing.id));
        return ReadListing(tx, listing.id, "");
      },
      RunAgain{});
}

Result<Listing> PgStore::ActivateListing(const std::string& listing, const Uuid& price_book) {
  return pool_.Run<Listing>(
      [&](GlobalTx& tx) -> Result<Listing> {
        tx.Exec(
            "UPDATE catalog.listings SET state = 'ACTIVE' WHERE id = $1 AND price_book_id = $2 AND state = 'PENDING'",
            listing, price_book.ToString());
        const auto stored = ReadListing(tx, listing, "");
        if (!stored && stored.error().code != Code::kNotFound) return stored;
        if (!stored || stored->price_book != price_book) return ListingReplaced(listing);
        return stored;
      },
      RunAgain{});
}

Result<Listing> PgStore::GetListing(const std::string& listing) {
  return pool_.Run<Listing>([&](GlobalTx& tx) { return ReadListing(tx, listing, "AND state <> 'PENDING'"); });
}

Result<Page<Listing>> PgStore::ListListings(const PageRequest& page) {
  return pool_.Run<Page<Listing>>([&](GlobalTx& tx) -> Result<Page<Listing>> {
    const auto rows =
        tx.Exec(fmt::format("SELECT {} FROM catalog.listings WHERE id > $1 AND state <> 'PENDING' ORDER BY id LIMIT $2",
                            kListingColumns),
                page.after, page.size + 1);
    auto items = ReadAll(rows, [&](RowReader& row) { return ReadListingRow(tx, row); });
    return MakePage(page, std::move(items), [](const Listing& l) { return l.id; });
  });
}

}  // namespace allod::catalog
