#include "services/scheduling/pg_store_regions.h"

#include <fmt/format.h>

#include "services/common/pg/micros.h"
#include "services/common/pg/row_reader.h"

namespace allod::scheduling {
namespace {

constexpr char kColumns[] =
    "region, version, jurisdiction, display_name, maker, trace_id, " ALLOD_MICROS("create_time");
// Nothing if the version is there already, or does not follow the newest.
constexpr const char* kAdd =
    "INSERT INTO scheduling.region_versions (region, version, jurisdiction, display_name, maker, trace_id) "
    "SELECT $1, $2, $3, $4, $5, $6 WHERE $2::bigint = 1 + COALESCE((SELECT max(version) FROM "
    "scheduling.region_versions WHERE region = $1), 0) ON CONFLICT DO NOTHING";

RegionVersion ReadVersion(RowReader& row) {
  RegionVersion out;
  row.Into(out.id, out.version, out.jurisdiction, out.display_name, out.maker, out.trace_id, out.create_time);
  return out;
}

}  // namespace

Result<std::vector<RegionVersion>> PgRegionStore::ListRegions() {
  return pool_.Run<std::vector<RegionVersion>>([&](GlobalTx& tx) -> Result<std::vector<RegionVersion>> {
    return ReadAll(tx.Exec(fmt::format("SELECT DISTINCT ON (region) {} FROM scheduling.region_versions "
                                       "ORDER BY region, version DESC",
                                       kColumns)),
                   ReadVersion);
  });
}

Result<RegionVersion> PgRegionStore::GetRegion(const std::string& id) {
  return pool_.Run<RegionVersion>([&](GlobalTx& tx) -> Result<RegionVersion> {
    const auto rows =
        tx.Exec(fmt::format("SELECT {} FROM scheduling.region_versions WHERE region = $1 ORDER BY version DESC LIMIT 1",
                            kColumns),
                id);
    if (rows.empty()) return NotFound(fmt::format("regions/{} does not exist", id));
    return ReadFirst(rows, ReadVersion);
  });
}

Result<std::vector<RegionVersion>> PgRegionStore::ListVersions(const std::string& id, const PageRequest& page) {
  return pool_.Run<std::vector<RegionVersion>>([&](GlobalTx& tx) -> Result<std::vector<RegionVersion>> {
    return ReadAll(tx.Exec(fmt::format("SELECT {} FROM scheduling.region_versions WHERE region = $1 AND version > "
                                       "$2::bigint ORDER BY version LIMIT $3",
                                       kColumns),
                           id, page.after.empty() ? "0" : page.after, page.size + 1),
                   ReadVersion);
  });
}

Result<RegionVersion> PgRegionStore::AddVersion(const RegionVersion& version) {
  return pool_.Run<RegionVersion>(
      [&](GlobalTx& tx) -> Result<RegionVersion> {
        if (version.version == 1) {
          const auto others =
              tx.Exec("SELECT count(DISTINCT region) FROM scheduling.region_versions WHERE region <> $1", version.id);
          if (others[0][0].as<int>() >= kRegionsMax) return std::unexpected(TooManyRegions());
        }
        tx.Exec(kAdd, version.id, version.version, version.jurisdiction, version.display_name, version.maker,
                version.trace_id);
        const auto rows = tx.Exec(
            fmt::format("SELECT {} FROM scheduling.region_versions WHERE region = $1 AND version = $2", kColumns),
            version.id, version.version);
        if (rows.empty()) return std::unexpected(ChangedMeanwhile(version));
        // There already: by this call, whose COMMIT was lost, or by somebody else's.
        RegionVersion stored = ReadFirst(rows, ReadVersion);
        if (!SameContent(stored, version)) return std::unexpected(ChangedMeanwhile(version));
        return stored;
      },
      RunAgain{});
}

}  // namespace allod::scheduling
