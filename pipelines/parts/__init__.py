"""Parts of pipelines: functions that add the tasks which several systems have alike."""
