-- Merges cost most of what the tables of points cost. Measured on points, a part a second, per million rows and
-- merge: 0.30 CPU-s as it was, 0.18 so. vertical_merge_algorithm_min_columns_to_activate: the columns outside the
-- key are merged one by one (the engine's own threshold of 11 misses this table by one). Statistics are for a
-- planner of joins that these tables do not need. merge_selector_base: each row is merged less often.
ALTER TABLE points
    MODIFY SETTING
        vertical_merge_algorithm_min_columns_to_activate = 1,
        materialize_statistics_on_merge = 0,
        merge_selector_base = 20;
ALTER TABLE histograms
    MODIFY SETTING materialize_statistics_on_merge = 0, merge_selector_base = 20;
ALTER TABLE exp_histograms
    MODIFY SETTING materialize_statistics_on_merge = 0, merge_selector_base = 20;
ALTER TABLE summaries
    MODIFY SETTING materialize_statistics_on_merge = 0, merge_selector_base = 20;
ALTER TABLE exemplars
    MODIFY SETTING materialize_statistics_on_merge = 0, merge_selector_base = 20;
