#include <fmt/ranges.h>

#include "services/catalog/pg_rows.h"
#include "services/catalog/pg_store.h"

namespace allod::catalog {
namespace {

constexpr char kListingColumns[] =
    "id, model_id, version_id, display_name, license_terms, array_to_string(territory, ','), price_book_id, "
    "state, " ALLOD_MICROS("create_time");

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

Result<Listing> ListingFromRow(GlobalTx& tx, const pqxx::row& row) {
  Listing out;
  out.id = row[0].as<std::string>();
  out.version = {row[1].as<std::string>(), row[2].as<std::string>()};
  out.display_name = row[3].as<std::string>();
  out.license_terms = row[4].as<std::string>();
  out.territory = Split(row[5].as<std::string>());
  ALLOD_TRY(out.price_book, Uuid::Parse(row[6].as<std::string>()));
  const std::string state = row[7].as<std::string>();
  out.state = state == "PENDING"  ? ListingState::kPending
              : state == "ACTIVE" ? ListingState::kActive
                                  : ListingState::kWithdrawn;
  out.create_time = FromMicros(row[8].as<std::int64_t>());
  const auto prices = tx.Exec(
      "SELECT currency_code, variant_id, prompt_price_pico::text, completion_price_pico::text, isolation_class FROM "
      "catalog.listing_prices "
      "WHERE listing_id = $1 ORDER BY currency_code, variant_id, isolation_class",
      out.id);
  for (const auto& price : prices) {
    ALLOD_TRY(const Amount prompt, Amount::ParsePico(price[2].as<std::string>()));
    ALLOD_TRY(const Amount completion, Amount::ParsePico(price[3].as<std::string>()));
    out.prices.push_back(
        {price[0].as<std::string>(), price[1].as<std::string>(), prompt, completion, price[4].as<std::string>()});
  }
  return out;
}

Result<Listing> ReadListing(GlobalTx& tx, const std::string& id, std::string_view condition) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM catalog.listings WHERE id = $1 {}", kListingColumns, condition), id);
  if (rows.empty()) return DoesNotExist("listings/" + id);
  return ListingFromRow(tx, rows[0]);
}

void InsertPrices(GlobalTx& tx, const Listing& listing) {
  for (const TokenPrice& price : listing.prices) {
    tx.Exec(
        "INSERT INTO catalog.listing_prices (listing_id, currency_code, variant_id, prompt_price_pico, "
        "completion_price_pico, isolation_class) VALUES ($1, $2, $3, $4::numeric, $5::numeric, $6)",
        listing.id, price.currency_code, price.variant_id, price.prompt.ToPicoString(), price.completion.ToPicoString(),
        price.isolation_class);
  }
}

std::string TerritoryText(const Listing& listing) { return fmt::format("{{{}}}", fmt::join(listing.territory, ",")); }

// True when the row is new.
bool InsertListing(GlobalTx& tx, const Listing& l) {
  const auto inserted = tx.Exec(
      "INSERT INTO catalog.listings (id, model_id, version_id, display_name, license_terms, territory, price_book_id, "
      "state, "
      "create_time) VALUES ($1, $2, $3, $4, $5, $6::text[], $7, 'PENDING', " ALLOD_FROM_MICROS(
          "$8") ") ON CONFLICT (id) DO NOTHING",
      l.id, l.version.model, l.version.version, l.display_name, l.license_terms, TerritoryText(l),
      l.price_book.ToString(), Micros(l.create_time));
  if (inserted.affected_rows() == 0) return false;
  InsertPrices(tx, l);
  return true;
}

void ReplaceListing(GlobalTx& tx, const Listing& l) {
  tx.Exec(
      "UPDATE catalog.listings SET model_id = $2, version_id = $3, display_name = $4, license_terms = $5, "
      "territory = $6::text[], price_book_id = $7, create_time = " ALLOD_FROM_MICROS("$8") " WHERE id = $1",
      l.id, l.version.model, l.version.version, l.display_name, l.license_terms, TerritoryText(l),
      l.price_book.ToString(), Micros(l.create_time));
  tx.Exec("DELETE FROM catalog.listing_prices WHERE listing_id = $1", l.id);
  InsertPrices(tx, l);
}

}  // namespace

Result<Listing> PgStore::PrepareListing(const Listing& listing, const RequestId& request) {
  return pool_.Run<Listing>(
      [&](GlobalTx& tx) -> Result<Listing> {
        ALLOD_CHECK_OK(RecallRequest(tx, request));
        ALLOD_CHECK_OK(ReadVersion(tx, listing.version));
        std::set<std::string> variants;
        for (const auto& row : tx.Exec("SELECT id FROM catalog.variants WHERE model_id = $1 AND version_id = $2",
                                       listing.version.model, listing.version.version)) {
          variants.insert(row[0].as<std::string>());
        }
        ALLOD_CHECK_OK(CheckPricedVariants(listing, variants));
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
      RunAgain<Listing>);
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
      RunAgain<Listing>);
}

Result<Listing> PgStore::GetListing(const std::string& listing) {
  return pool_.Run<Listing>([&](GlobalTx& tx) { return ReadListing(tx, listing, "AND state <> 'PENDING'"); });
}

Result<Page<Listing>> PgStore::ListListings(const PageRequest& page) {
  return pool_.Run<Page<Listing>>([&](GlobalTx& tx) -> Result<Page<Listing>> {
    std::vector<Listing> items;
    const auto rows =
        tx.Exec(fmt::format("SELECT {} FROM catalog.listings WHERE id > $1 AND state <> 'PENDING' ORDER BY id LIMIT $2",
                            kListingColumns),
                page.after, page.size + 1);
    for (const auto& row : rows) {
      ALLOD_TRY(Listing listing, ListingFromRow(tx, row));
      items.push_back(std::move(listing));
    }
    return MakePage(page, std::move(items), [](const Listing& l) { return l.id; });
  });
}

}  // namespace allod::catalog
