// What services/scheduling/region_store.h promises, of the fake and of PostgreSQL.
#include <gtest/gtest.h>

#include <memory>
#include <pqxx/pqxx>

#include "services/scheduling/pg_store_regions.h"
#include "services/scheduling/testing/fake_region_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pg_fixture.h"

namespace allod::scheduling::region_store_test {
namespace {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual RegionStore& store() = 0;
};

class FakeBackend final : public Backend {
 public:
  RegionStore& store() override { return store_; }

 private:
  FakeClock clock_;
  FakeRegionStore store_{clock_};
};

class PgBackend final : public Backend {
 public:
  RegionStore& store() override { return store_; }

 private:
  TestDatabase database_{"scheduling"};
  PgPool pool_{database_.app_config()};
  PgRegionStore store_{pool_};
};

RegionVersion Version(const std::string& id, const std::string& jurisdiction, std::int64_t version = 1) {
  RegionVersion out;
  out.id = id;
  out.jurisdiction = jurisdiction;
  out.display_name = "Region " + id;
  out.version = version;
  out.maker = RegionVersion::kOperator;
  out.trace_id = std::string(32, 'a');
  return out;
}

class RegionStoreTest : public testing::TestWithParam<bool> {
 protected:
  RegionStore& store() { return backend_->store(); }

 private:
  const std::unique_ptr<Backend> backend_ =
      GetParam() ? std::unique_ptr<Backend>(new PgBackend) : std::unique_ptr<Backend>(new FakeBackend);
};

TEST_P(RegionStoreTest, KeepsEveryVersion) {
  EXPECT_TRUE(store().ListRegions()->empty());
  EXPECT_EQ(store().GetRegion("ke-1").error().code, Code::kNotFound);
  const auto first = store().AddVersion(Version("ke-1", "ke"));
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_GT(first->create_time, Time());
  ASSERT_TRUE(store().AddVersion(Version("a-1", "tz")));
  const auto second = store().AddVersion(Version("ke-1", "tz", 2));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_GE(second->create_time, first->create_time);
  EXPECT_EQ(*store().GetRegion("ke-1"), *second);
  const auto regions = store().ListRegions();
  ASSERT_EQ(regions->size(), 2U);
  EXPECT_EQ(regions->at(0).id, "a-1");
  EXPECT_EQ(regions->at(1), *second);
  EXPECT_EQ(*store().ListVersions("ke-1", {}), (std::vector<RegionVersion>{*first, *second}));
  PageRequest page{.size = 1};
  EXPECT_EQ(store().ListVersions("ke-1", page)->size(), 2U) << "one more says that there is another page";
  page.after = VersionKey(*first);
  EXPECT_EQ(*store().ListVersions("ke-1", page), std::vector<RegionVersion>{*second});
  EXPECT_TRUE(store().ListVersions("none", {})->empty());
}

TEST_P(RegionStoreTest, OfTwoChangesOneIsFirst) {
  ASSERT_TRUE(store().AddVersion(Version("ke-1", "ke")));
  EXPECT_TRUE(store().AddVersion(Version("ke-1", "ke"))) << "the same again";
  EXPECT_EQ(store().AddVersion(Version("ke-1", "tz")).error().reason, "ETAG_MISMATCH");
  EXPECT_EQ(store().AddVersion(Version("ke-1", "tz", 3)).error().reason, "ETAG_MISMATCH") << "a gap";
  ASSERT_TRUE(store().AddVersion(Version("ke-1", "tz", 2)));
  EXPECT_EQ(store().AddVersion(Version("ke-1", "ug", 2)).error().reason, "ETAG_MISMATCH");
  EXPECT_EQ(store().GetRegion("ke-1")->jurisdiction, "tz");
}

TEST_P(RegionStoreTest, AConfigurationMakesWhatIsNotKnownAndChangesNothing) {
  ASSERT_TRUE(store().AddVersion(Version("ke-1", "tz")));
  for (int start = 0; start < 2; ++start) {
    const auto known = ReadRegions(store(), {{"ug-1", "ug"}, {"ke-1", "ke"}});
    ASSERT_TRUE(known) << known.error().message;
    ASSERT_EQ(known->size(), 2U);
    EXPECT_EQ(known->at(0).jurisdiction, "tz") << "what an operator said";
    EXPECT_EQ(known->at(1).id, "ug-1");
    EXPECT_EQ(known->at(1).maker, RegionVersion::kConfiguration);
    EXPECT_EQ(known->at(1).version, 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, RegionStoreTest, testing::Bool(),
                         [](const auto& store) { return store.param ? "PostgreSQL" : "Fake"; });

TEST(PgRegionStore, TheServiceCanOnlyAdd) {
  TestDatabase database("scheduling");
  PgPool pool(database.app_config());
  PgRegionStore store(pool);
  ASSERT_TRUE(store.AddVersion(Version("ke-1", "ke")));
  for (const char* sql : {"UPDATE scheduling.region_versions SET jurisdiction = 'tz'",
                          "DELETE FROM scheduling.region_versions", "TRUNCATE scheduling.region_versions"}) {
    const auto done = pool.Run<int>([&](GlobalTx& tx) -> Result<int> {
      tx.Exec(sql);
      return 0;
    });
    EXPECT_FALSE(done) << sql;
  }
  EXPECT_EQ(store.GetRegion("ke-1")->jurisdiction, "ke");
}

}  // namespace
}  // namespace allod::scheduling::region_store_test
