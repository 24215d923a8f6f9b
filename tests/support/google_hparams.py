"""Every hparam of Google's two configuration files, with a value of its kind."""

import json

# Every attribute that PretrainingConfig.__init__ (configure_pretraining.py) has by its end, with a value of its kind.
PRETRAINING = json.loads(
    """{
    "model_name": "electra", "debug": false, "do_train": true, "do_eval": false, "electra_objective": true,
    "electric_objective": false, "gen_weight": 1.0, "disc_weight": 50.0, "mask_prob": 0.15, "learning_rate": 0.0005,
    "lr_decay_power": 1.0, "weight_decay_rate": 0.01, "num_warmup_steps": 10000, "iterations_per_loop": 200,
    "save_checkpoints_steps": 1000, "num_train_steps": 1000000, "num_eval_steps": 100, "keep_checkpoint_max": 5,
    "model_size": "small", "model_hparam_overrides": {}, "embedding_size": null, "vocab_size": 30522,
    "do_lower_case": true, "uniform_generator": false, "two_tower_generator": false, "untied_generator_embeddings":
    false, "untied_generator": true, "generator_layers": 1.0, "generator_hidden_size": 0.25, "disallow_correct":
    false, "temperature": 1.0, "max_seq_length": 128, "train_batch_size": 128, "eval_batch_size": 128, "use_tpu":
    false, "num_tpu_cores": 1, "tpu_job_name": null, "tpu_name": null, "tpu_zone": null, "gcp_project": null,
    "pretrain_tfrecords": "data/pretrain_tfrecords/pretrain_data.tfrecord*", "vocab_file": "data/vocab.txt",
    "model_dir": "data/models/electra", "results_txt": "unsup_results.txt", "results_pkl": "unsup_results.pkl",
    "max_predictions_per_seq": 19
    }"""
)
# The same for FinetuningConfig (configure_finetuning.py).
FINETUNING = json.loads(
    """{
    "model_name": "electra", "debug": false, "log_examples": false, "num_trials": 1, "do_train": true, "do_eval":
    true, "keep_all_models": true, "model_size": "large", "task_names": ["mnli", "squad"], "model_hparam_overrides":
    {}, "embedding_size": 1024, "vocab_size": 30522, "do_lower_case": true, "learning_rate": 0.0001,
    "weight_decay_rate": 0.01, "layerwise_lr_decay": 0.8, "num_train_epochs": 3.0, "warmup_proportion": 0.1,
    "save_checkpoints_steps": 1000000, "iterations_per_loop": 1000, "use_tfrecords_if_existing": true,
    "write_test_outputs": false, "write_distill_outputs": false, "n_writes_test": 5, "max_seq_length": 128,
    "train_batch_size": 32, "eval_batch_size": 32, "predict_batch_size": 32, "double_unordered": true,
    "max_query_length": 64, "doc_stride": 128, "n_best_size": 20, "max_answer_length": 30, "answerable_classifier":
    true, "answerable_uses_start_logits": true, "answerable_weight": 0.5, "joint_prediction": true, "beam_size": 20,
    "qa_na_threshold": -2.75, "use_tpu": false, "num_tpu_cores": 1, "tpu_job_name": null, "tpu_name": null,
    "tpu_zone": null, "gcp_project": null, "data_dir": "data", "raw_data_dir": "data/finetuning_data", "vocab_file":
    "data/vocab.txt", "init_checkpoint": null, "model_dir": "data/models", "results_txt": "results.txt",
    "results_pkl": "results.pkl", "qa_eval_file": "eval.json", "qa_preds_file": "preds.json", "qa_na_file":
    "null_odds.json", "preprocessed_data_dir": "tfrecords", "test_predictions": "predictions.pkl"
    }"""
)
GOOGLE = {**FINETUNING, **PRETRAINING}
